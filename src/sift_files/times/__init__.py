"""Times of files as nanoseconds since 1970 in UTC: exact, whatever they are written as.

Numbers (`numbers`), numbers in words (`decimals`) and dates in words (`dates`, `date_text`);
`detect` and `array` find out which of them a column has, `column` puts them together by a plan.
"""
