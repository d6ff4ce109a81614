import pytest

from clima_locust import profile


@pytest.fixture
def problems(write_profile):
    """The problems found in a document, without the file's name."""

    def find(document):
        path = write_profile(document)
        with pytest.raises(profile.ProfileError) as caught:
            profile.load(path)
        return [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()]

    return find


def test_the_profile_in_the_repository_is_the_assignments_load(profile_document, write_profile):
    loaded = profile.load(write_profile(profile_document))
    assert (loaded.requests, loaded.users) == (10_000, 10)
    assert tuple(m.name for m in loaded.municipalities) == profile.MUNICIPALITIES
    assert all(set(m.weathers) == set(profile.WEATHERS) for m in loaded.municipalities)


def test_a_weight_of_a_municipality_may_be_left_out(profile_document, write_profile):
    del profile_document["municipalities"]["mixco"]["weight"]
    assert profile.load(write_profile(profile_document)).municipalities[0].weight == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(profile.ProfileError, match=r"nowhere\.json: No such file"):
        profile.load(tmp_path / "nowhere.json")


def test_text_that_is_not_json_is_refused(problems):
    (problem,) = problems('{"requests": 1,}')
    assert problem.startswith("not JSON: ")


def test_a_document_that_is_not_an_object_is_refused(problems):
    assert "expected an object, found [1]" in problems([1])


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("requests", 0, "requests: 0 is not within 1 to 1000000000"),
        ("requests", True, "requests: expected a whole number, found true"),
        ("requests", "10", 'requests: expected a whole number, found "10"'),
        ("users", 2.5, "users: expected a whole number, found 2.5"),
        ("spawn_rate", 0, "spawn_rate: must be above 0"),
        ("spawn_rate", -1, "spawn_rate: -1 is not a number of 0 or more"),
        ("municipalities", {}, "municipalities: names no municipality"),
        ("municipalities.mixco.weight", float("nan"), "municipalities.mixco.weight: nan is not a number"),
        ("municipalities.mixco.weathers", {"sunny": 0}, "municipalities.mixco.weathers: at least one weather"),
        ("municipalities.mixco.weathers.sunny", "x", "municipalities.mixco.weathers.sunny: expected a number"),
        ("municipalities.mixco.temperature.max", 61, "municipalities.mixco.temperature.max: 61 is not within"),
        ("municipalities.mixco.temperature.min", 40, "municipalities.mixco.temperature: min 40 is above max 25"),
        ("municipalities.mixco.humidity.min", -1, "municipalities.mixco.humidity.min: -1 is not within 0 to 100"),
        ("municipalities.mixco.humidity", None, "municipalities.mixco.humidity: missing"),
        ("municipalities.antigua", {}, "municipalities.antigua: unknown; known here: mixco, guatemala"),
        ("user", 10, "user: unknown; known here: requests, users"),
    ],
)
def test_a_problem_names_its_field_and_is_reported_once(profile_document, problems, path, value, problem):
    *parents, name = path.split(".")
    target = profile_document
    for parent in parents:
        target = target[parent]
    target[name] = value
    (found,) = problems(profile_document)
    assert found.startswith(problem)


def test_all_problems_are_reported_at_once(profile_document, problems):
    profile_document["requests"] = -1
    del profile_document["users"]
    profile_document["municipalities"]["chinautla"]["humidity"]["max"] = 101
    assert problems(profile_document) == [
        "users: missing",
        "requests: -1 is not within 1 to 1000000000",
        "municipalities.chinautla.humidity.max: 101 is not within 0 to 100",
    ]
