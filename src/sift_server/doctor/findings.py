"""What an examination finds, in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    NOTE = "note"
    """Part of a server's life, or without harm: a folder with notes is sound."""
    PROBLEM = "problem"
    """Something is damaged, missing, or does not agree with something else."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should know of.

    Attributes:
        level: How bad it is.
        where: The file, relative to the folder.
        what: What is wrong, in a sentence.
        means: What that means for the data.
        remedy: What can be done; empty if nothing has to be.
        is_mendable: Whether a repair does something about it.
    """

    level: Level
    where: str
    what: str
    means: str
    remedy: str = ""
    is_mendable: bool = True


def note(where: str, what: str, means: str) -> Finding:
    """A finding that does no harm and that nothing is done about."""
    return Finding(Level.NOTE, where, what, means, is_mendable=False)


def problem(where: str, what: str, means: str, remedy: str) -> Finding:
    """A finding that a repair mends."""
    return Finding(Level.PROBLEM, where, what, means, remedy)


@dataclass(frozen=True, slots=True)
class Report:
    """What an examination found.

    Attributes:
        findings: In the order of the parts of a folder.
        amounts: How much was looked at, in words, by part.
    """

    findings: tuple[Finding, ...]
    amounts: dict[str, str] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[Finding, ...]:
        """What is wrong."""
        return tuple(each for each in self.findings if each.level is Level.PROBLEM)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def counted(count: int, one: str, many: str = "") -> str:
    """`1 file`, `2 files`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def sized(size_bytes: int) -> str:
    """A size in words, rounded up."""
    size = float(size_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":  # noqa: PLR2004 (what the units are made of)
            break
        size /= 1024
    return counted(size_bytes, "byte") if unit == "bytes" else f"{size:.1f} {unit}"
