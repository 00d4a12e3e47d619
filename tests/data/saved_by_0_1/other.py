# Asks a conversation's questions again. Keys come from the environment (QIANFAN_...) or .env.

from qfmagic import Conversation, Qianfan, Settings

client = Qianfan(settings=Settings.from_env())
conversation = Conversation('other')

question = (
    'The name of the capital of France, and its inhabitants\n'
    '\n'
    'Answer with one JSON value only, without any other text, that fits this JSON Schema:\n'
    '{"type":"object","properties":{"name":{"type":"string"},"inhabitants":{"type":"integer"}},"required":["name","inhabitants"]}'
)
answer = client.ask(question, history=conversation, model='ernie-3.5-128k', response_format={'type': 'json_object'})
conversation = conversation.add(question, answer)
print(question, answer, sep="\n\n", end="\n\n")

question = (
    '```python\n'
    "print('{%')\n"
    '```\n'
    'and a tab:\tit'
)
answer = client.ask(question, history=conversation, model='ernie-3.5-128k')
conversation = conversation.add(question, answer)
print(question, answer, sep="\n\n", end="\n\n")

client.close()
