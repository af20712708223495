#compdef falco-report-exporter
# Not argcomplete's: zsh quotes values itself, so that it is given them as they are, in the form made for fish.

_falco_report_exporter() {
  local typed="${(j: :)words[1,CURRENT-1]} $QIPREFIX$PREFIX" line answer
  local -a values directories shown
  answer=$(_ARGCOMPLETE=1 _ARGCOMPLETE_SHELL=fish _ARGCOMPLETE_IFS=$'\n' _ARGCOMPLETE_DFS=$'\t' \
    _ARGCOMPLETE_SUPPRESS_SPACE=1 COMP_LINE=$typed COMP_POINT=${#typed} \
    "${(Q)words[1]}" 8>&1 9>/dev/null 1>/dev/null 2>&1 </dev/null)
  for line in "${(@f)answer}"; do
    case ${line%%$'\t'*} in
      "") ;;
      */) directories+=("${line%%$'\t'*}") ;;
      *) values+=("${line%%$'\t'*}"); shown+=("${${line/$'\t'/  -- }%  -- }") ;;
    esac
  done
  (( $#values + $#directories )) || { _files; return }
  local -a any_case=(-M 'm:{[:lower:][:upper:]}={[:upper:][:lower:]}')
  compadd "$any_case[@]" -S '' -a directories
  compadd "$any_case[@]" -l -d shown -a values
}

if [[ $zsh_eval_context == *func ]]; then
  _falco_report_exporter "$@"
else
  compdef _falco_report_exporter falco-report-exporter
fi
