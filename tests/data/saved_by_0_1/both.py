# Asks a conversation's questions again. Keys come from the environment (QIANFAN_...) or .env.

from qfmagic import Conversation, Qianfan, Settings

client = Qianfan(settings=Settings.from_env())
conversation = Conversation('both')

question = 'One question to two'
answer = client.ask(question, history=conversation, model='yi_34b_chat')
conversation = conversation.add(question, answer)
print(question, answer, sep="\n\n", end="\n\n")

client.close()
