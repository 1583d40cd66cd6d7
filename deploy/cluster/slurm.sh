#!/bin/bash
# A batch on a SLURM cluster: scheduler, workers and batch in one job; docs/cluster.md says more.
#   sbatch deploy/cluster/slurm.sh saliency --cohort /shared/cohort --model fast --out /shared/why
# What follows the script goes to `slicerxai batch`. Home, cohort and results lie where all nodes see them.
#SBATCH --job-name=slicerxai
#SBATCH --ntasks=8
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=6G
#SBATCH --time=04:00:00
# With GPUs: #SBATCH --gpus-per-task=1, export SLICERXAI_DEVICE=cuda, and WORKER_OPTIONS="--resources GPU=1".
set -eu
umask 077

# Whoever reaches the scheduler can run programs as you: all sides prove themselves by a certificate of this job alone.
keys=$(mktemp --directory "${SLICERXAI_HOME:-$HOME/.slicerxai}/slurm-XXXXXX")
openssl req -x509 -newkey rsa:2048 -nodes -days 8 -subj /CN=slicerxai -keyout "$keys/key.pem" -out "$keys/cert.pem" 2>"$keys/openssl.log"
export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=true
export DASK_DISTRIBUTED__COMM__TLS__CA_FILE="$keys/cert.pem"
for role in SCHEDULER WORKER CLIENT; do
    export "DASK_DISTRIBUTED__COMM__TLS__${role}__KEY=$keys/key.pem"
    export "DASK_DISTRIBUTED__COMM__TLS__${role}__CERT=$keys/cert.pem"
done

# --dashboard-address: the pages that need no login, where nobody else reaches them
dask scheduler --protocol tls --port 0 --no-dashboard --dashboard-address 127.0.0.1:0 --scheduler-file "$keys/scheduler.json" &
scheduler=$!
srun dask worker --protocol tls --nthreads 1 --no-dashboard --dashboard-address 127.0.0.1:0 --memory-limit 0 \
    --death-timeout 120 --scheduler-file "$keys/scheduler.json" ${WORKER_OPTIONS:-} &
workers=$!
trap 'kill "$workers" "$scheduler" 2>/dev/null || true; wait "$workers" "$scheduler" || true; rm -r "$keys"' EXIT

until [ -s "$keys/scheduler.json" ]; do
    kill -0 "$scheduler"
    sleep 1
done
address=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$keys/scheduler.json")

# When the time is over, submit the same job again: it goes on with the cases that are not finished.
slicerxai batch "$@" --scheduler "$address"
