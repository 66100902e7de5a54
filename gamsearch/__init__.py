"""Where in a YOLO detector does an attention module pay for itself, and at which reduction rate?"""

from gamsearch.publish import arm

__version__ = "0.1.0"

arm()
