"""What is worth a look is said: by rules on runs and by programs, and passed on by webhooks.

A pass of `watching` finds for which runs a rule's condition holds (`conditions`), and raises an
alert for each time that it has come true (`alerts`). The alert enters people's inboxes
(experiments/inbox) and the queues of the project's webhooks (`webhooks`) in the same transaction;
`sending` empties those, through the one door to addresses outside (`outbound`).
"""
