python -m gamsearch run --data "$1" --model yolov8n.yaml --space my-space.yaml --name mine
python -m gamsearch export results/mine --pick map50_95
