"""checks.py - what the tests in Python share: results counted, parts run one after the other."""
failures = 0


def check(name: str, is_right: bool, more: str = ""):
    """Counts and prints one result; `more` says what there was, of a long text the end."""
    global failures
    failures += not is_right
    print(f"{'ok  ' if is_right else 'FAIL'} {name}{': ' + more[-700:] if more else ''}",
          flush=True)


def finish() -> int:
    """The last line, and the exit status."""
    print(f"{failures} failures" if failures else "all right")
    return 1 if failures else 0


def run(parts, *arguments, errors=(RuntimeError,)) -> int:
    """Calls every part with the arguments; one that raises one of `errors` has failed."""
    for part in parts:
        try:
            part(*arguments)
        except errors as error:
            check(part.__name__, False, str(error))
    return finish()
