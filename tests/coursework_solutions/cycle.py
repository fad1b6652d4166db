from tinygan import l1


def cycle_and_identity(G, F, x, y, cycle_weight=10.0, identity_weight=5.0):
    total = 0.0
    for there, back, picture in ((G, F, x), (F, G, y)):
        translated, there_backward = there(picture)
        again, back_backward = back(translated)
        loss, gradient = l1(again, picture)
        there_backward(back_backward(gradient * cycle_weight))
        same, same_backward = back(picture)
        same_loss, gradient = l1(same, picture)
        same_backward(gradient * identity_weight)
        total += cycle_weight * loss + identity_weight * same_loss
    return total
