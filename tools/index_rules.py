"""Write the index of official rules: `python tools/index_rules.py RULES_FILE… > exporter/catalog/data/index.json`."""

import dataclasses
import sys
from pathlib import Path

import yaml

from exporter.catalog.index import RuleFacts, facts_of, to_json
from exporter.falco.rules_file import read_rules_files

# Falco's source (2026-07, userspace/falco): alerts that Falco raises about itself, and our own test alert, with their
# priority and fields.
INTERNAL = {
    # event_drops.cpp
    "Falco internal: syscall event drop": (
        "Debug",
        "ebpf_enabled n_drops n_drops_buffer_clone_fork_exit n_drops_buffer_close_exit n_drops_buffer_connect_exit "
        "n_drops_buffer_dir_file_exit n_drops_buffer_execve_exit n_drops_buffer_open_exit "
        "n_drops_buffer_other_interest_exit n_drops_buffer_proc_exit n_drops_buffer_total n_drops_bug "
        "n_drops_page_faults n_drops_scratch_map n_evts",
    ),
    # stats_writer.cpp; further fields depend on `metrics:` in falco.yaml
    "Falco internal: metrics snapshot": (
        "Informational",
        "evt.hostname evt.source evt.time falco.duration_sec falco.evts_rate_sec falco.host_boot_ts "
        "falco.host_num_cpus falco.kernel_release falco.num_evts falco.num_evts_prev "
        "falco.outputs_queue_num_drops falco.reload_ts falco.start_ts falco.version scap.engine_name "
        "scap.evts_drop_rate_sec scap.evts_rate_sec scap.n_drops scap.n_drops_perc scap.n_drops_prev scap.n_evts "
        "scap.n_evts_prev",
    ),
    # app/actions/process_events.cpp
    "Falco internal: timeouts notification": ("Debug", "last_event_time"),
    "Falco internal: capture size limit reached": ("Informational", "max_file_size_mb written_bytes"),
    # app/actions/create_signal_handlers.cpp
    "Falco internal: hot restart failure": ("Critical", ""),
    # Ours: exporter/sources/testing.py
    "Test alert of falco-report-exporter": ("Debug", ""),
}
# Rules of falco-sandbox-rules 6.2.0 (Falco 0.45), as far as falcosecurity/rules#373 and the release notes tell.
# Both are off by default. Files that have them go before.
_OF_PROCESS = "evt.type proc.cmdline proc.exepath proc.name proc.pname proc.tty user.loginuid user.name user.uid"
PUBLISHED = {
    "Container Accessing GPU Device": ("filesystem", f"fd.name {_OF_PROCESS}"),
    "GPU Management Tool Run in Container": ("process", f"evt.arg.flags {_OF_PROCESS}"),
}


def main(paths: list[str]) -> None:
    """Print the index for these rules files."""
    files = [read_rules_files([Path(path)]) for path in paths]
    rules = [facts for file in files for facts in facts_of(file)]
    if problems := [problem for file in files for problem in file.problems]:
        sys.exit("\n".join(problems))
    rules += [
        RuleFacts(rule, priority, "internal", "internal", "", (), tuple(fields.split()))
        for rule, (priority, fields) in INTERNAL.items()
    ]
    known = {facts.rule for facts in rules}
    rules += [
        RuleFacts(
            rule,
            "Critical",
            "syscall",
            "falco-sandbox_rules.yaml",
            "sandbox",
            ("maturity_sandbox", "container", about, "mitre_impact", "T1496"),
            tuple(sorted(fields.split())),
            hooks=("user_known_gpu_workloads",),
        )
        for rule, (about, fields) in PUBLISHED.items()
        if rule not in known
    ]
    former = yaml.safe_load(Path(__file__).with_name("former_rule_names.yaml").read_text(encoding="utf-8"))
    if unknown := former.keys() - {facts.rule for facts in rules}:
        sys.exit(f"former_rule_names.yaml names rules that are in none of the files: {', '.join(sorted(unknown))}")
    sys.stdout.write(
        to_json(dataclasses.replace(facts, former_names=tuple(former.get(facts.rule, ()))) for facts in rules)
    )


main(sys.argv[1:])
