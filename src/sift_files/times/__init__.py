"""Times of files as nanoseconds since 1970 in UTC: exact, whatever they are written as.

Numbers (`numbers`), numbers in words (`decimals`) and dates in words (`dates`); `detect` finds
out which of them a column has, `column` puts them together by a plan.
"""

from sift_files.times.column import ns_of_array, ns_of_texts, start_of
from sift_files.times.detect import TimeFormatGuess, format_of_numbers, format_of_texts

__all__ = [
    "TimeFormatGuess",
    "format_of_numbers",
    "format_of_texts",
    "ns_of_array",
    "ns_of_texts",
    "start_of",
]
