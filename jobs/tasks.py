"""The one message. It carries an id and changes nothing by itself."""

from celery import shared_task

from jobs.dispatch import wake


@shared_task(name="jobs.wake", ignore_result=True)
def wake_job(public_id: str) -> str:
    return wake(public_id)
