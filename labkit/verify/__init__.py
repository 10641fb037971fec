"""`labkit verify`: checks an app folder's behaviour in a real browser, against really running instances.

`subject` finds what to verify, `run` starts everything and collects the verdicts, `process` and `worker` are the two
ends of the process that the checks run in, `report` is what comes out.
"""
