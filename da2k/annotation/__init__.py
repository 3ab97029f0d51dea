"""People decide: pairs go to Label Studio, answers come back.

`push` sends what people are to answer, `pull` brings what they answered, `status` and `agreement` tell how it goes,
`studio` runs a Label Studio of one's own.
"""
