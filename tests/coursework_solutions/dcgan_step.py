from tinygan import bce_with_logits


def train_step(G, D, adam_G, adam_D, x, z, real_label=0.9):
    fake, fake_backward = G(z)
    adam_D.zero_grad()
    loss_D = 0.0
    for pictures, target in ((x, real_label), (fake, 0.0)):
        score, back = D(pictures)
        loss, dscore = bce_with_logits(score, target)
        back(dscore)
        loss_D += loss
    adam_D.step()
    adam_G.zero_grad()
    score, back = D(fake)
    loss_G, dscore = bce_with_logits(score, 1.0)
    fake_backward(back(dscore))
    adam_G.step()
    return loss_D, loss_G
