"""Mutants of the advice: a scenario runs again with one block broken, and must notice.

``reading`` finds the commands in a block, ``operators`` breaks one of them,
``choice`` names the mutants of the catalog, ``runs`` runs them within the lab,
and ``results`` keeps what came of each (`python -m tests.lab.mutants`).
"""
