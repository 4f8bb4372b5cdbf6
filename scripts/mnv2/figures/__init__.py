"""Drawing images of figures and pages to train on."""
