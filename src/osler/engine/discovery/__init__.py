"""What is known of molecules elsewhere, turned on a new one: ADMET profiles, likely targets, drugs for another
indication.
"""
