"""Session folders on disk: layout, ALF names, probing, scanning, safe replacement.

No database here. Nothing below writes into a lab's folder except `staging`.
"""
