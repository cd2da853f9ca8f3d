import pytest

from corn.worker.dev.csp import ScriptPermission, allow

WISH = ScriptPermission("'sha256-x'", "http://127.0.0.1:9")
REACH = "'self' http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("img-src *", "img-src *"),
        ("default-src 'self'", f"default-src 'self'; script-src 'self' 'sha256-x'; connect-src {REACH}"),
        ("default-src 'none'", f"default-src 'none'; script-src 'sha256-x'; connect-src {REACH}"),
        ("script-src a.example", "script-src a.example 'sha256-x'"),
        ("script-src 'self'; script-src-elem b", "script-src 'self'; script-src-elem b 'sha256-x'"),
        ("script-src 'unsafe-inline'", "script-src 'unsafe-inline'"),
        ("script-src 'unsafe-inline' 'nonce-n'", "script-src 'unsafe-inline' 'nonce-n' 'sha256-x'"),
        ("connect-src api.example", f"connect-src api.example {REACH}"),
        ("connect-src 'none'", f"connect-src {REACH}"),
        ("SCRIPT-SRC a; script-src b", "script-src a 'sha256-x'"),
        ("script-src a, script-src b", "script-src a 'sha256-x', script-src b 'sha256-x'"),
        ("upgrade-insecure-requests;;", "upgrade-insecure-requests"),
    ],
)
def test_script_is_allowed_by_minimal_policy_change(policy, expected):
    assert allow(policy, WISH)[0] == expected


def test_nonce_of_policy_is_found():
    assert allow("default-src 'self'; script-src 'nonce-abc=='", WISH)[1] == "abc=="
    assert allow("script-src 'nonce-a', script-src 'nonce-b'", WISH)[1] == ""
    assert allow("style-src 'nonce-a'", WISH)[1] == ""
