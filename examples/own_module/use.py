import best_modules  # noqa: F401
from ultralytics import YOLO

print(YOLO("best.pt").predict("picture.png")[0].boxes.shape)
