"""Proximal policy optimization of a language model against a reward model (Schulman et al. 2017; Ouyang et al. 2022).

`maths` holds the formulas, `networks` the models, `rollouts` what is written and scored, `learners` who takes the
gradient steps, `trainer` the loop, `method` the run from spec.json to artifact.
"""
