"""Tables of what people write."""


def written_in(table: str) -> list[str]:
    """The messages of a table, as they are written."""
    lines = [line.removeprefix("    ") for line in table.split("\n")]
    return [message for line in lines for message in line.split("|") if message]
