// All of the labeling page but the kinds of its questions; collected as one file (ground/bundles.py).
import "./theme.mjs";
import "./keys.mjs";
import "./label.mjs";
import "./reading.mjs";
