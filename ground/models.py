"""The row that every noun is made of."""

from django.db import models

from ground import clock


class Row(models.Model):
    """Bigint key inside, public id outside (each noun adds its own prefix), creation time from the injected clock."""

    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        abstract = True
