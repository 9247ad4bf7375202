"""chairs"""
