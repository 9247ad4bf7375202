"""preparing"""
