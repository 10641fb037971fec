"""A class at work, live: a board that shows how far everybody is, and the line by which a workspace joins it.

`room` is what the board knows, and nothing more; `board` serves it, to trainees and to the one page; `joining` is a
trainee's side. No code leaves a trainee's machine: the ids of tasks and checks, verdicts and times do.
"""
