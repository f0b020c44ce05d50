"""api.cors_origins = *: pages of every origin may use the API, without credentials."""
import requests

SETTINGS = {"api.cors_origins": "*"}


def test_every_origin_is_answered(stack):
    for path, status in (("/api/v1/openapi.json", 200), ("/api/v1/credits", 401), ("/elsewhere", 404), ("/" + "a" * 70000, 414)):
        for origin in ("https://any.example", "null"):
            answer = requests.get(stack.url + path, headers={"Origin": origin}, timeout=10)
            assert answer.status_code == status and answer.headers["Access-Control-Allow-Origin"] == "*"
            assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
            assert "Access-Control-Allow-Credentials" not in answer.headers and "Vary" not in answer.headers
    preflight = requests.options(stack.url + "/api/v1/workflows", headers={"Origin": "https://any.example", "Access-Control-Request-Method": "POST"}, timeout=10)
    assert preflight.status_code == 204 and "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
