"""What an empty setting stands for, shown before a run and told by the API."""

import pytest

from tests.engine.runs import hollow_model
from tests.factories import make_version
from training.forms.runs import NewRunForm

pytestmark = pytest.mark.django_db


@pytest.fixture
def sized(cast, tmp_path):
    """`sized(parameters)`: a base whose file says that it has so many; it holds none of them."""

    def make(parameters):
        return make_version(cast.project, artifact=str(hollow_model(tmp_path / str(parameters), parameters)))

    return make


@pytest.mark.parametrize(
    ("parameters", "adapters", "every"),
    [(135_000_000, "0.0002", "4e-05"), (7 * 10**9, "0.0002", "2e-05"), (70 * 10**9, "0.0001", "1e-05")],
)
def test_the_page_says_which_rate_the_chosen_base_would_get(cast, client, sized, parameters, adapters, every):
    """SFT states 2e-4 with adapters and 2e-5 without: twice the latter for small models, half of both for large ones."""
    base = sized(parameters)
    other = sized(5)
    client.force_login(cast.mona.user)
    path = f"/p/{cast.project.slug}/runs/new/"
    page = client.get(path, {"method": "sft", "base": base.public_id}).content.decode()
    assert f"An empty learning rate means {adapters} with adapters and {every} when" in page
    assert "without adapters twice that below" in page
    assert (
        client.get(path, {"method": "sft", "base": other.public_id}).context["form"].default_rate.startswith(str(other))
    )


def test_a_base_without_files_says_nothing(cast, client, base):
    client.force_login(cast.mona.user)
    answer = client.get(f"/p/{cast.project.slug}/runs/new/", {"method": "sft", "base": base.public_id})
    assert (answer.status_code, answer.context["form"].default_rate) == (200, "")


def test_the_api_tells_what_null_stands_for(cast, api):
    methods = {row["method"]: row for row in api(cast.mona).get("/api/v1/methods").json()}
    (rate,) = [row for row in methods["sft"]["hyperparameters"] if row["name"] == "learning_rate"]
    assert [(row["from_parameters"], row["with_adapters"], row["all_weights"]) for row in rate["default_by_size"]] == [
        (0, 2e-4, 4e-5),
        (10**9, 2e-4, 2e-5),
        (13 * 10**9 + 1, 1e-4, 1e-5),
    ]
    (memory,) = [row for row in methods["sft"]["hyperparameters"] if row["name"] == "activation_checkpointing"]
    assert memory["default_by_size"] == [{"from_parameters": 0, "on": False}, {"from_parameters": 10**9, "on": True}]
    assert not [row for row in methods["generate"]["hyperparameters"] if "default_by_size" in row]


@pytest.mark.parametrize(("said", "asked"), [("", None), ("True", True), ("False", False)])
def test_the_page_asks_for_checkpointing_only_where_it_was_decided(cast, sized, said, asked):
    values = {"base": sized(135).public_id, "seed": "0", "hp_activation_checkpointing": said}
    form = NewRunForm("sft", cast.project, values)
    form.is_valid()
    assert form.asked()["hyperparameters"].get("activation_checkpointing") is asked
