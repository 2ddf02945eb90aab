import numpy as np

from segmentation.clustering.model import fit_model
from segmentation.clustering.temper import CAUTIOUS, choose_temper
from segmentation.profile.baseline import likelihoods
from segmentation.profile.events import Texts, no_deeds


def aged(texts: Texts, ages: np.ndarray) -> Texts:
    return Texts(
        texts.n_customers,
        texts.customer,
        ages,
        texts.source,
        texts.weight,
        texts.families,
        texts.valence,
    )


def test_few_customers_do_not_move_the_temper(generator):
    made = generator.make_customers(90, seed=1)
    density = np.ones((len(made.texts), 7))
    assert choose_temper(made.texts, density, np.full(7, 1 / 7)) == CAUTIOUS


def test_texts_that_foretell_nothing_keep_it_cautious(generator):
    made = generator.make_customers(4_000, seed=2)
    random = np.random.default_rng(0)
    model = fit_model(made.texts, no_deeds(), seed=0)
    shuffled = random.permutation(len(made.texts))
    lam = likelihoods(made.texts.families, made.texts.source, model.baselines)
    density = (lam @ model.anchors.T)[shuffled]
    texts = aged(made.texts, random.uniform(0, 400, len(made.texts)))
    assert choose_temper(texts, density, model.shares) == CAUTIOUS


def test_people_who_say_the_same_every_time_are_believed(generator):
    random = np.random.default_rng(3)
    customers = np.repeat(np.arange(1_500), 4)
    loud = np.eye(7)[random.integers(0, 7, 1_500)][customers]
    density = 0.6 + 1.4 * loud
    made = generator.make_customers(1, seed=1).texts
    n = len(customers)
    texts = Texts(
        1_500,
        customers,
        random.uniform(0, 90, n),
        np.zeros(n, np.int64),
        np.ones(n),
        np.tile(made.families[:1], (n, 1)),
        np.zeros(n),
    )
    assert choose_temper(texts, density, np.full(7, 1 / 7)) == 1.5
