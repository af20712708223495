"""What a release consists of, made from the last commit with the same bytes every time; run by ``make release``."""
