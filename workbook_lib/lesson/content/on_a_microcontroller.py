"""Lesson 96: TensorFlow Lite Micro."""

FAMILIES = {
    "micro-needs-store": "about-micro",
    "micro-op-not-registered": "about-micro",
    "micro-arena-too-small": "about-micro",
}
