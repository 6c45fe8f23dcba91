"""Who receives calls: the document of a person, their time zone, their partition.

What happens to alerts is decided in `domain/delivery`. Begin with `subscriber.py`.
"""
