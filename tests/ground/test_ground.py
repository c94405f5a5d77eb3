"""The ground: ids, secrets, versions, immutability."""

import re

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import DatabaseError, connection, transaction

from annotation.models import Schema
from annotation.schemas import pairwise_schema
from annotation.services.guidelines import publish_guideline
from config.addresses import broker_transport_options, database
from ground.ids import new_public_id, uuid7
from models_registry.models import Deployment


def test_public_ids_sort_by_time_and_carry_version_7():
    ids = [uuid7() for _ in range(3)]
    assert {value.version for value in ids} == {7}
    assert re.fullmatch(r"tsk_[0-9a-f]{32}", new_public_id("tsk"))


@pytest.mark.store
@pytest.mark.django_db
def test_a_secret_rests_encrypted_and_survives_a_new_key_in_front(cast, settings):
    deployment = Deployment.objects.create(
        project=cast.project, backend="url", url="http://127.0.0.1", api_key="sesame"
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM models_registry_deployment WHERE id = %s", [deployment.pk])
        assert "sesame" not in cursor.fetchone()[0]
    settings.PLUMBLINE_FIELD_KEYS = [Fernet.generate_key().decode(), *settings.PLUMBLINE_FIELD_KEYS]
    assert Deployment.objects.get(pk=deployment.pk).api_key == "sesame"
    settings.PLUMBLINE_FIELD_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(ImproperlyConfigured, match="no longer lists"):
        Deployment.objects.get(pk=deployment.pk)


@pytest.mark.store
@pytest.mark.django_db
def test_a_published_guideline_cannot_be_changed(cast):
    guideline = publish_guideline(actor=cast.mona, body="Prefer the true one.")
    with pytest.raises(DatabaseError, match="immutable"), transaction.atomic():
        type(guideline).objects.filter(pk=guideline.pk).update(body="Prefer the short one.")
    assert publish_guideline(actor=cast.mona, body="Prefer the short one.").version == 2


@pytest.mark.store
@pytest.mark.django_db
def test_a_schema_no_page_could_show_is_refused_with_its_path(cast):
    body = pairwise_schema(text="Which?")
    body["questions"][0]["kind"] = "duel"
    with pytest.raises(ValidationError, match=r"questions\[0\]\.kind"):
        Schema.objects.create(project=cast.project, name="pairwise", version=1, body=body)


@pytest.mark.parametrize("url", ["mysql://a/b", "postgres://host:port/x", "postgres://host", ""])
def test_a_wrong_database_address_says_how_to_write_it(url):
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        database(url)


def test_an_unknown_broker_is_refused(tmp_path):
    with pytest.raises(ImproperlyConfigured, match="redis://"):
        broker_transport_options("kafka://x", tmp_path)
