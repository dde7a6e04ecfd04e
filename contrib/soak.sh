#!/bin/bash
# Runs every simulation under new seeds, on all cores, until stopped or for SOAK_SECONDS. A failure
# prints its seed and the command that repeats it. SOAK_FIRST_SEED=N begins with that seed.
set -euo pipefail
cd "$(dirname "$0")/.."

read -ra cargo <<<"${CARGO:-cargo}"
seconds=${SOAK_SECONDS:-}
# Others than the last time.
seed=${SOAK_FIRST_SEED:-$(date +%s)000000}
# How long each simulation runs before it is the next one's turn.
turn=60

# The name of each, and what cargo takes to run it.
simulations=(
    'core|--test simulation whatever'
    'cache and journal|-p gmetad-rrd --lib cache::simulation::nothing'
    'rrdcached socket|-p gmetad-rrd --lib rrdcached::simulation::whatever'
    'exports|-p gmetad-export --lib link::simulation::whatever'
    'stores of remote write|-p gmetad-export --lib remote_write::simulation::whatever'
    'backlogs on disk|-p gmetad-export --lib spool::simulation::whatever'
    'configurations|-p gmetad-config --lib no_bytes_make_it_panic'
    'queue to plugins|--lib queue::tests::simulation'
)
declare -A seeds steps times
first=$seed
for one in "${simulations[@]}"; do
    seeds[${one%%|*}]=0 steps[${one%%|*}]=0 times[${one%%|*}]=0
done

summary() {
    local one name all_seeds=0 all_steps=0
    printf '\n%-20s %12s %16s %12s\n' simulation seeds steps steps/s
    for one in "${simulations[@]}"; do
        name=${one%%|*}
        printf '%-20s %12d %16d %12d\n' "$name" "${seeds[$name]}" "${steps[$name]}" \
            $((steps[$name] / (times[$name] > 0 ? times[$name] : 1)))
        all_seeds=$((all_seeds + seeds[$name])) all_steps=$((all_steps + steps[$name]))
    done
    printf '%-20s %12d %16d   from seed %d on\n' all "$all_seeds" "$all_steps" "$first"
}

"${cargo[@]}" test --profile soak --no-run --lib --test simulation
"${cargo[@]}" test --profile soak --no-run --lib -p gmetad-config -p gmetad-rrd -p gmetad-export
trap summary EXIT
trap 'exit 0' INT TERM

began=$SECONDS
while :; do
    for one in "${simulations[@]}"; do
        left=$turn
        if [[ -n $seconds ]]; then
            left=$((seconds - (SECONDS - began)))
            if ((left <= 0)); then exit 0; fi
            # Each has its turn, however short the time is.
            share=$(((seconds + ${#simulations[@]} - 1) / ${#simulations[@]}))
            left=$((left < share ? left : share))
            left=$((left < turn ? left : turn))
        fi
        name=${one%%|*}
        read -ra arguments <<<"${one#*|}"
        start=$SECONDS
        if ! output=$(GMETAD_FIRST_SEED=$seed GMETAD_SIMULATION_SECONDS=$left \
            "${cargo[@]}" test --profile soak --quiet "${arguments[@]}" -- --nocapture 2>&1); then
            printf '%s\n' "$output"
            exit 1
        fi
        read -r ran stepped < <(sed -nE 's/.*simulated: ([0-9]+) seeds, ([0-9]+) steps$/\1 \2/p' <<<"$output")
        seeds[$name]=$((seeds[$name] + ran))
        steps[$name]=$((steps[$name] + stepped))
        times[$name]=$((times[$name] + SECONDS - start))
        printf '%s: %d seeds, %d steps\n' "$name" "$ran" "$stepped"
        seed=$((seed + ran))
    done
done
