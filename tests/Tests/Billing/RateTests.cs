using FsCheck;
using FsCheck.Fluent;
using VoicePlatform.Billing;
using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Tests.Billing;

/// <summary>Prices are exact: no micro-credit is made or lost beyond the one rounding of a line.</summary>
internal sealed class RateTests
{
    [TestCase(0, 0)]
    [TestCase(1, 60)]
    [TestCase(60, 60)]
    [TestCase(61, 66)]
    [TestCase(66, 66)]
    [TestCase(67, 72)]
    public void A_minimum_of_60_and_steps_of_6(long used, long billed) =>
        Assert.That(new Rate("platform", "second", 1, 1, Increment: 6, Minimum: 60).Billable(used), Is.EqualTo(billed));

    [TestCase(1, 10)]
    [TestCase(11, 17)]
    public void Steps_begin_where_the_minimum_ends(long used, long billed) =>
        Assert.That(new Rate("platform", "second", 1, 1, Increment: 7, Minimum: 10).Billable(used), Is.EqualTo(billed));

    [Test]
    public void What_is_billed_covers_what_was_used_by_less_than_a_step() => Check((rate, quantity) =>
    {
        var billed = rate.Billable(quantity);
        return billed >= quantity && billed >= rate.Minimum && (billed == rate.Minimum || (billed - rate.Minimum) % rate.Increment == 0)
            && (billed == rate.Minimum || billed - quantity < rate.Increment);
    });

    [Test]
    public void A_price_is_the_exact_one_rounded_half_up() => Check((rate, quantity) =>
    {
        // price − ½ ≤ rate × quantity ÷ per < price + ½, in whole numbers.
        var price = (Int128)rate.Price(quantity);
        var exact = (Int128)rate.MicroCredits * quantity * 2;
        return (((price * 2) - 1) * rate.Per) <= exact && exact < (((price * 2) + 1) * rate.Per);
    });

    [Test]
    public void More_use_never_costs_less() => Check((rate, quantity) =>
        rate.Price(rate.Billable(quantity)) <= rate.Price(rate.Billable(quantity + 1)));

    [Test]
    public void The_lines_of_a_card_are_each_priced_alone() => Check((rate, quantity) =>
    {
        var card = new RateCard("c-1", null, 1, DateTimeOffset.UnixEpoch, new Dictionary<string, Rate> { ["a"] = rate with { Component = "a" }, ["b"] = rate with { Component = "b" } });
        var lines = card.Price([new Measured("b", rate.Unit, quantity), new Measured("a", rate.Unit, quantity), new Measured("unused", "unit", 0)]);
        return lines.Select(l => l.Component).SequenceEqual(["a", "b"]) && lines.All(l => l.Amount == rate.Price(rate.Billable(quantity)) && l.RateCard == "c-1" && l.Quantity == rate.Billable(quantity));
    });

    [TestCase(0, "0.000000")]
    [TestCase(1, "0.000001")]
    [TestCase(-1_500_000, "-1.500000")]
    [TestCase(long.MaxValue, "9223372036854.775807")]
    [TestCase(long.MinValue, "-9223372036854.775808")]
    public void Credits_are_written_exactly(long amount, string text) => Assert.That(Statement.InCredits(amount), Is.EqualTo(text));

    private static void Check(Func<Rate, long, bool> holds)
    {
        var rates = from micro in Gen.OneOf(Gen.Choose(0, 100), Gen.Choose(0, 1_000_000_000))
                    from per in Gen.OneOf(Gen.Choose(1, 100), Gen.Elements(60, 1_000, 1_000_000, 999_983))
                    from increment in Gen.Choose(1, 90)
                    from minimum in Gen.Choose(0, 120)
                    from quantity in Gen.OneOf(Gen.Choose(1, 200), Gen.Choose(1, 100_000_000))
                    select (Rate: new Rate("platform", "second", micro, per, increment, minimum), Quantity: (long)quantity);
        Prop.ForAll(rates.ToArbitrary(), r => holds(r.Rate, r.Quantity)).Check(Config.QuickThrowOnFailure.WithMaxTest(5_000));
    }
}
