"""A class: the work of many trainees, found, verified side by side, and told.

`submissions` finds whose work is where, `archives` and `staging` take it in without trusting it. `grader` verifies one
piece of work within its `limits`, in a process of its own (`worker`); `crew` has several of them work side by side and
says how each ended, a `Grade`. `results` keeps that on the disk. `own_lines` tells which submissions have the same
content.
"""
