"""operating"""
