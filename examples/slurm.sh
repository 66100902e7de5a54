#!/bin/bash
#SBATCH --array=0-7
#SBATCH --gres=gpu:1
#SBATCH --signal=B:TERM@300
STUDY="--storage postgresql://me@host/search --artifacts /shared/artifacts --data data.yaml"
if [ "$SLURM_ARRAY_TASK_ID" = 0 ]; then
    exec python -m gamsearch run $STUDY --name mine
fi
exec python -m gamsearch worker $STUDY --study mine --wait 60
