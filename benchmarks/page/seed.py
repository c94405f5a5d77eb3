"""Pairs of answers to judge, as many as asked for, written by the database itself."""

from django.db import connection, transaction

from accounts.models import Actor, Project, Role, User
from accounts.services import add_member, create_project
from annotation.router import Router
from annotation.schemas import pairwise_schema
from annotation.services.guidelines import publish_guideline
from annotation.services.tasks import current_schema

PASSWORD = "a-long-enough-password"
EMAIL = "reader@example.org"
TABLES = ("models_registry_prompt", "models_registry_completion", "annotation_task", "annotation_slot")

GUIDELINE = "# What makes an answer better\n\n" + "\n\n".join(
    f"## Point {number}\n\nPrefer the answer that says what to do, in which order, and why. When both do, prefer the shorter."
    for number in range(1, 8)
)

QUESTION = "My kettle number %s takes ten minutes to boil and there is a white crust in it. What should I do?"
ANSWER = (
    "The white crust is limescale, and it slows the kettle down. **What to do:**\n\n"
    "1. Fill the kettle %s with one part of vinegar and two parts of water.\n"
    "2. Bring it to the boil, switch it off, and leave it for half an hour.\n"
    "3. Pour it out, rinse it three times, and boil fresh water once before you make tea.\n\n"
    "Do this every six weeks where the water is hard. If the heating plate still looks white afterwards, repeat it once with "
    "citric acid, which smells less. Never scrape the plate with metal: a scratched plate gathers lime faster than before."
)
OTHER = (
    "Kettles get slow with age, and number %s is no exception. You could buy a new one, since they are not expensive, but "
    "first try to clean it: lemon juice helps a little, and so does leaving water in it overnight. It is probably the lime. "
    "A filter jug would also keep the lime away from the start, and some people say that a small piece of shell in the kettle "
    "collects it. I would watch the time it takes for a week and then decide whether a new kettle is worth the money."
)


def seed(count: int) -> Project:
    """A project with `count` pairwise tasks of one answer each, its guidelines, and one person who may answer."""
    owner = User.objects.create_user("owner@example.org", PASSWORD, name="Owner")
    project = create_project(user=owner, slug="page", name="Household help")
    manager = Actor.objects.get(project=project, user=owner)
    reader = User.objects.create_user(EMAIL, PASSWORD, name="Rosa Orban")
    add_member(actor=manager, user=reader, role=Role.ANNOTATOR)
    publish_guideline(actor=manager, body=GUIDELINE)
    schema = current_schema(project, "pairwise", pairwise_schema(text="Which answer is better?"))
    router = Router(project)
    lane = router.lane(queue=router.main, batch_id=None, pool_id=0, priority=5, round=0)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_PROMPTS, {"project": project.pk, "question": QUESTION, "count": count})
        for ordinal, text in enumerate((ANSWER, OTHER)):
            cursor.execute(_COMPLETIONS, {"project": project.pk, "text": text, "name": str(ordinal)})
        cursor.execute(_TASKS, {"project": project.pk, "queue": router.main.pk, "schema": schema.pk})
        cursor.execute(_CANDIDATES, {"project": project.pk})
        cursor.execute(_SLOTS, {"project": project.pk, "lane": lane.pk})
    with connection.cursor() as cursor:
        for table in (*TABLES, "annotation_candidate"):
            cursor.execute(f"VACUUM ANALYZE {table}")
    return project


_PROMPTS = """
INSERT INTO models_registry_prompt (created_at, public_id, project_id, external_id, messages, digest, metadata, held_out)
SELECT now(), 'prm_' || replace(gen_random_uuid()::text, '-', ''), %(project)s, '',
  jsonb_build_array(jsonb_build_object('role', 'user', 'content', replace(%(question)s, '%%s', n::text))), 'page:' || n, '{}', false
FROM generate_series(1, %(count)s) AS n"""
_COMPLETIONS = """
INSERT INTO models_registry_completion (created_at, public_id, project_id, prompt_id, source, text, digest, sampling,
  finish_reason, usage, external_id, alias)
SELECT now(), 'cmp_' || replace(gen_random_uuid()::text, '-', ''), %(project)s, id, 'imported',
  replace(%(text)s, '%%s', id::text), 'page:' || id || %(name)s, '{}', '', '{}', %(name)s, ''
FROM models_registry_prompt WHERE project_id = %(project)s"""
_TASKS = """
INSERT INTO annotation_task (created_at, public_id, project_id, queue_id, schema_id, prompt_id, external_id, data, metadata,
  overlap, done, priority, pool_id, purpose, state, resolution)
SELECT now(), 'tsk_' || replace(gen_random_uuid()::text, '-', ''), %(project)s, %(queue)s, %(schema)s, id, '',
  '{"schema_version": 1}', '{}', 1, 0, 5, 0, 0, 0, 0
FROM models_registry_prompt WHERE project_id = %(project)s"""
_CANDIDATES = """
INSERT INTO annotation_candidate (task_id, completion_id, ordinal)
SELECT t.id, c.id, c.external_id::int
FROM annotation_task t JOIN models_registry_completion c ON c.prompt_id = t.prompt_id WHERE t.project_id = %(project)s"""
_SLOTS = """
INSERT INTO annotation_slot (task_id, lane_id, ordinal, seq, state)
SELECT id, %(lane)s, 0, nextval('annotation_opening'), 0 FROM annotation_task WHERE project_id = %(project)s ORDER BY id"""
