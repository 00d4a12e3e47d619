# Asks a conversation's questions again. Keys come from the environment (QIANFAN_...) or .env.

from qfmagic import Conversation, Qianfan, Settings

client = Qianfan(settings=Settings.from_env())
conversation = Conversation('main')

question = 'The first question'
answer = client.ask(question, history=conversation, model='ernie-3.5-128k')
conversation = conversation.add(question, answer)
print(question, answer, sep="\n\n", end="\n\n")

question = 'The second, changed'
answer = client.ask(question, history=conversation, model='ernie-3.5-128k', temperature=0.75)
conversation = conversation.add(question, answer)
print(question, answer, sep="\n\n", end="\n\n")

question = 'A third, to another model, with one turn before it'
answer = client.ask(question, history=conversation, model='yi_34b_chat', context=1)
conversation = conversation.add(question, answer)
print(question, answer, sep="\n\n", end="\n\n")

question = 'With a persona'
answer = client.ask(question, history=conversation, model='ernie-3.5-128k', system='You are Ada.')
conversation = conversation.add(question, answer)
print(question, answer, sep="\n\n", end="\n\n")

# Turn 5: interrupted
# 'Breaks off'

# Turn 6: failed
# 'Fails'

# Turn 7: dropped
# 'Dropped later'

conversation = Conversation('main')
question = 'Afresh'
answer = client.ask(question, history=conversation, model='ernie-3.5-128k')
conversation = conversation.add(question, answer)
print(question, answer, sep="\n\n", end="\n\n")

question = 'Behind what is afresh'
answer = client.ask(question, history=conversation, model='ernie-3.5-128k')
conversation = conversation.add(question, answer)
print(question, answer, sep="\n\n", end="\n\n")

# Turn 10: its cell was deleted
# 'Of a cell that is deleted'

question = 'The end'
answer = client.ask(question, history=conversation, model='ernie-3.5-128k')
conversation = conversation.add(question, answer)
print(question, answer, sep="\n\n", end="\n\n")

client.close()
