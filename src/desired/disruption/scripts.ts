/**
 * What the pods run that open and close disruption windows: POSIX sh with kubectl. They find in their environment:
 *
 *     BUDGET, NAMESPACE   the PodDisruptionBudget
 *     MANIFEST            the whole of it as it is to be, with @VERSION@ as its resourceVersion
 *     MANAGER             the field manager to apply it as
 *     LOOK                a JSONPath that tells its version, the length of windows and the start of the open one: 7|3600|...
 *
 * A budget is only ever replaced as it was read: with its resourceVersion, in one write. By force, as a person or a tool
 * may have opened or closed the window, and their field would stay as it is for ever. There is no --request-timeout: kubectl
 * would not look for the cluster that it runs in any more; what hangs ends with its Job.
 */
const COMMON = `
set -u

kube() {
  kubectl --namespace "$NAMESPACE" "$@"
}

parse() {
  version=\${1%%|*}
  rest=\${1#*|}
  seconds=\${rest%%|*}
  start=\${rest#*|}
}

look() {
  seen=$(kube get poddisruptionbudget "$BUDGET" --output "jsonpath=$LOOK") && parse "$seen"
}

write() {
  written=$(
    printf '%s' "\${MANIFEST%%@VERSION@*}$version\${MANIFEST#*@VERSION@}" |
      kube apply --server-side --force-conflicts --field-manager "$MANAGER" --output "jsonpath=$LOOK" --filename -
  ) && parse "$written"
}

is_number() {
  case "$1" in
    '' | 0?* | *[!0-9]*) return 1 ;;
  esac
  [ "\${#1}" -le 12 ]
}
`;

/**
 * Opens a window as of the minute it was scheduled for, which the names of the CronJob's Jobs end with, so that it ends on
 * time however late the pod is; a Job by another name (kubectl create job --from) opens it as of now. Besides the above:
 *
 *     CRON_JOB, JOB_NAME  whose Job this is, and its name
 *     LENGTH              seconds that the window lasts
 *     SLACK               seconds that the schedule may be past the minute
 *
 * MANIFEST has @START@ where the start goes.
 */
export const ENABLER_SCRIPT = `${COMMON}
now=$(date +%s)
opening=$now
minute=\${JOB_NAME#"$CRON_JOB-"}
if [ "$minute" != "$JOB_NAME" ] && is_number "$minute"; then
  scheduled=$((minute * 60 + SLACK))
  if [ "$scheduled" -lt "$now" ]; then opening=$scheduled; fi
fi
if [ $((opening + LENGTH)) -le "$now" ]; then
  echo "This window is over: it was to open $((now - opening)) seconds ago."
  exit 0
fi
MANIFEST=\${MANIFEST%%@START@*}$opening\${MANIFEST#*@START@}

for attempt in 1 2 3 4 5 6; do
  if look; then
    if [ -z "$seconds" ]; then
      echo "There are no windows any more."
      exit 0
    fi
    if is_number "$start" && [ "$start" -ge "$opening" ] && [ "$start" -le "$now" ]; then
      echo "The window is open."
      exit 0
    fi
    if write; then
      echo "Opened the window, for $((opening + LENGTH - $(date +%s))) seconds."
      exit 0
    fi
  fi
  sleep 2
done
exit 1
`;

/**
 * Closes the window that ends within the next minute, at its end, or one that should be closed already. A start that is no
 * time, or lies ahead, opens nothing. Besides the above:
 *
 *     START_ANNOTATION    the annotation with the start; it stays where another manager set it, unless it is removed
 */
export const DISABLER_SCRIPT = `${COMMON}
for attempt in 1 2 3 4 5 6 7 8; do
  if look; then
    if [ -z "$start" ] || [ -z "$seconds" ]; then
      echo "No window is open."
      exit 0
    fi
    now=$(date +%s)
    left=0
    if is_number "$start" && is_number "$seconds" && [ "$start" -le $((now + 60)) ]; then
      left=$((start + seconds - now))
    fi
    if [ "$left" -gt 60 ]; then
      echo "The window stays open for another $left seconds."
      exit 0
    fi
    if [ "$left" -gt 0 ]; then
      echo "The window closes in $left seconds."
      sleep "$left"
      continue
    fi
    if write; then
      if [ -z "$start" ] || kube annotate poddisruptionbudget "$BUDGET" "$START_ANNOTATION-" --resource-version "$version"; then
        echo "Closed the window."
        exit 0
      fi
    fi
  fi
  sleep 2
done
exit 1
`;
