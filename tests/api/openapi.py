"""Validates every response that the tests' Client receives against docs/openapi.json."""
import json
import pathlib
import re
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from jsonschema import Draft202012Validator, FormatChecker, RefResolver

ROOT = pathlib.Path(__file__).resolve().parents[2]
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")


ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def look(text):
    """The same result for all ids, for all times, and for long strings with letters and digits at the same positions."""
    return text if len(text) < 16 else "ID" if ID.fullmatch(text) else re.sub("[0-9]", "0", re.sub("[a-z]", "a", text))


def outline(value):
    """(shape, reduced value). Values with the same names, types and short strings have the same shape; the reduced value keeps one
    element of each shape in its lists."""
    if isinstance(value, dict):
        parts = {name: outline(value[name]) for name in sorted(value)}
        return tuple((name, part[0]) for name, part in parts.items()), {name: part[1] for name, part in parts.items()}
    if isinstance(value, list):
        parts = dict(outline(x) for x in value)
        return (len(value) > 1, frozenset(parts)), list(parts.values())
    if isinstance(value, str):
        return (look(value),), value
    return ((type(value), value < 0) if isinstance(value, (int, float)) and not isinstance(value, bool) else (value,)), value


class Document:
    def __init__(self, content):
        self.content = content
        self.resolver = RefResolver("", content)
        self.validators = {}
        self.valid = set()  # (schema, shape)

    def resolve(self, value):
        while isinstance(value, dict) and "$ref" in value:
            value = self.resolver.resolve(value["$ref"])[1]
        return value

    def template(self, path):
        """The path template of the document that matches a raw request path without query, or None. Literal segments win."""
        segments = path.rstrip("/").split("/")
        best = None
        for template in self.content["paths"]:
            parts = template.split("/")
            if len(parts) != len(segments):
                continue
            if all(s if p.startswith("{") else p == s for p, s in zip(parts[1:], segments[1:])):
                literal = sum(not p.startswith("{") for p in parts)
                if best is None or literal > best[0]:
                    best = (literal, template)
        return best and best[1]

    def operations(self):
        for path, item in self.content["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method.upper(), path, item, item[method]

    def validator(self, schema):
        key = id(schema)
        if key not in self.validators:
            self.validators[key] = Draft202012Validator(schema, resolver=self.resolver, format_checker=FormatChecker())
        return self.validators[key]

    def validate(self, schema, value, what):
        """Validates one value of each shape only, because tests poll and pages have many similar rows."""
        shape, value = outline(value)
        known = (id(schema), shape)
        if known in self.valid:
            return
        errors = sorted(self.validator(schema).iter_errors(value), key=lambda e: len(e.absolute_path))
        assert not errors, f"{what} does not match docs/openapi.yaml: {errors[0].message[:500]} at {list(errors[0].absolute_path)}"
        self.valid.add(known)

    def check(self, method, path, answer, body_is_here=True):
        """Checks a response of `requests`. A path that the document does not have must be answered with a documented problem."""
        template = self.template(path)
        what = f"{method} {path}: {answer.status_code}"
        operation = self.content["paths"][template].get(method.lower().replace("head", "get")) if template else None
        if operation is None:
            assert answer.status_code >= 400, f"{what}: the path is not in docs/openapi.yaml"
            response = self.content["components"]["responses"]["Problem"]
        else:
            status = str(answer.status_code)
            response = operation["responses"].get(status) or operation["responses"].get(status[0] + "XX")
            assert response is not None, f"{what}: the status is not in docs/openapi.yaml"
            response = self.resolve(response)
        if method == "HEAD" or answer.status_code in (204, 304):
            assert not body_is_here or not answer.content, what
            return
        media = answer.headers.get("Content-Type", "").split(";")[0].strip()
        content = response.get("content", {})
        assert media in content or "*/*" in content, f"{what}: {media} is none of {list(content)}"
        if media.endswith("json") and media in content and body_is_here:
            self.validate(content[media]["schema"], json.loads(answer.content), what)


DOCUMENT = Document(json.loads((ROOT / "docs/openapi.json").read_text()))
