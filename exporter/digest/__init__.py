"""The digest: what happened in a period, on one page.

Owns what is counted and how it is shown. The same history and the same time
give the same bytes. Refuses to read the clock and to know HTTP.
"""

from exporter.digest.digest import Digest, knowledge_of, make_digest
from exporter.digest.formats import DIGEST_FORMATS

__all__ = ["DIGEST_FORMATS", "Digest", "knowledge_of", "make_digest"]
