using System.Numerics;
using FsCheck;
using FsCheck.Fluent;
using VoicePlatform.Billing;
using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.SharedKernel;

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
        var cost = card.Cost([new Measured("b", rate.Unit, quantity), new Measured("a", rate.Unit, quantity), new Measured("unused", "unit", 0)]);
        if (!cost.IsOk)
        {
            return (Int128)rate.Price(rate.Billable(quantity)) * 2 > Credits.Max;
        }

        var lines = cost.Value.Lines;
        return lines.Select(l => l.Component).SequenceEqual(["a", "b"]) && lines.All(l => l.Amount == rate.Price(rate.Billable(quantity)) && l.RateCard == "c-1" && l.Quantity == rate.Billable(quantity));
    });

    [Test]
    public void A_charge_is_the_exact_price_of_its_lines_up_to_the_most_a_posting_carries_and_refused_above() => Prop.ForAll(Cards.ToArbitrary(), c =>
    {
        // In numbers that have no end: units up to the step, minimum first; a line rounded half up; the charge their sum.
        var exact = c.Used.Where(m => m.Quantity > 0).OrderBy(m => m.Component, StringComparer.Ordinal).Select(m =>
        {
            var rate = c.Card.Rates[m.Component];
            var above = BigInteger.Max(0, (BigInteger)m.Quantity - rate.Minimum);
            var units = rate.Minimum + ((above + rate.Increment - 1) / rate.Increment * rate.Increment);
            var (whole, rest) = (units * rate.MicroCredits / rate.Per, units * rate.MicroCredits % rate.Per);
            return (m.Component, Units: units, Amount: whole + (rest * 2 >= rate.Per ? 1 : 0));
        }).ToList();
        var amount = exact.Aggregate(BigInteger.Zero, (sum, l) => sum + l.Amount);
        var cost = c.Card.Cost(c.Used);
        return amount <= Credits.Max
            ? cost.IsOk && cost.Value.Amount == amount && cost.Value.Lines.Select(l => (l.Component, (BigInteger)l.Quantity, (BigInteger)l.Amount)).SequenceEqual(exact)
            : !cost.IsOk && cost.Error.Code == "billing.amount_too_large";
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(20_000));

    [Test]
    public void The_longest_prefix_prices_a_call_and_a_key_of_ones_own_costs_less_by_the_percentage_rounded_once() => Prop.ForAll(Decks.ToArbitrary(), d =>
    {
        // In numbers that have no end: of the prices whose prefix the number begins with, the longest; the whole of one price and key is one line.
        var exact = d.Used.Where(m => m.Quantity > 0)
            .GroupBy(m => (d.Prices.Where(r => r.Component == m.Component && (m.Number ?? "").StartsWith(r.Prefix, StringComparison.Ordinal)).MaxBy(r => r.Prefix.Length), m.OwnKey))
            .Select(g =>
            {
                var (rate, ownKey) = (g.Key.Item1!, g.Key.OwnKey);
                var quantity = g.Aggregate(BigInteger.Zero, (sum, m) => sum + m.Quantity);
                var units = rate.Minimum + ((BigInteger.Max(0, quantity - rate.Minimum) + rate.Increment - 1) / rate.Increment * rate.Increment);
                var (above, below) = (units * rate.MicroCredits * (100 - (ownKey ? d.Discount : 0)), (BigInteger)rate.Per * 100);
                var name = rate.Component + (rate.Prefix.Length > 0 ? ":" + rate.Prefix : "") + (ownKey ? ":own_key" : "");
                return (Name: name, Units: units, Amount: ((above * 2) + below) / (below * 2), Above: above, Below: below);
            })
            .OrderBy(l => l.Name, StringComparer.Ordinal).ToList();
        var card = new RateCard("c-1", null, 1, DateTimeOffset.UnixEpoch, d.Prices.ToDictionary(r => r.Name)) { OwnKeyDiscountPercent = d.Discount };
        var cost = card.Cost(d.Used).Value;
        return cost.Lines.Select(l => (l.Component, (BigInteger)l.Quantity, (BigInteger)l.Amount)).SequenceEqual(exact.Select(l => (l.Name, l.Units, l.Amount)))
            && cost.Amount == exact.Aggregate(BigInteger.Zero, (sum, l) => sum + l.Amount)

            // What a line says of itself makes its amount, and no line is further than half a micro-credit from the price before rounding.
            && cost.Lines.All(l => l.Amount == (long)(((((BigInteger)l.Rate * l.Quantity) * 2) + l.Per) / ((BigInteger)l.Per * 2)))
            && exact.All(l => BigInteger.Abs((l.Amount * l.Below) - l.Above) * 2 <= l.Below);
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(20_000));

    [Test]
    public void Whole_and_free_are_what_they_say()
    {
        var rate = new Rate("llm_input", "token", 300_000, 1_000_000, 1, 0);
        Assert.That(rate.Less(0), Is.EqualTo(rate));
        Assert.That(rate.Less(25), Is.EqualTo(rate with { MicroCredits = 900_000, Per = 4_000_000 }));
        Assert.That(rate.Less(100), Is.EqualTo(rate with { MicroCredits = 0 }));
    }

    [Test]
    public void What_the_card_does_not_price_costs_nothing_and_is_named()
    {
        var card = new RateCard("c-1", null, 1, DateTimeOffset.UnixEpoch, new Dictionary<string, Rate> { ["a"] = new("a", "unit", 7, 1, 1, 0), ["b:+49"] = new("b", "unit", 7, 1, 1, 0) { Prefix = "+49" } });
        var cost = card.Cost([new("a", "unit", 2), new("b", "unit", 2) { Number = "+15550100" }, new("c", "unit", 3), new("d", "unit", 0)]).Value;
        Assert.That(cost.Amount, Is.EqualTo(14));
        Assert.That(cost.Lines.Select(l => l.Component), Is.EqualTo(new[] { "a" }));
        Assert.That(cost.Unpriced, Is.EqualTo(new[] { "b", "c" }));
    }

    [Test]
    public void More_use_of_anything_never_costs_less() => Prop.ForAll(Cards.ToArbitrary(), c =>
    {
        var (less, more) = (c.Card.Cost(c.Used), c.Card.Cost([.. c.Used.Select((m, i) => i == 0 && m.Quantity < long.MaxValue ? m with { Quantity = m.Quantity + 1 } : m)]));
        return !more.IsOk || (less.IsOk && less.Value.Amount <= more.Value.Amount);
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(20_000));

    [TestCase(long.MaxValue, 1, 1, 1, 0)]
    [TestCase(long.MaxValue, long.MaxValue, 1, 1, 0)]
    [TestCase(long.MaxValue, 1, 1, 7, 3)]
    [TestCase(1, 1, 1, 1, long.MaxValue)]
    public void Beyond_all_limits_there_is_an_error_and_no_wrong_number(long quantity, long rate, long per, long increment, long minimum)
    {
        var card = new RateCard("c-1", null, 1, DateTimeOffset.UnixEpoch, new Dictionary<string, Rate> { ["a"] = new("a", "unit", rate, per, increment, minimum) });
        Assert.That(card.Cost([new("a", "unit", quantity)]).Error?.Code, Is.EqualTo("billing.amount_too_large"));
    }

    [Test]
    public void The_most_a_posting_carries_can_be_charged_and_a_micro_credit_more_cannot()
    {
        var card = new RateCard("c-1", null, 1, DateTimeOffset.UnixEpoch, new Dictionary<string, Rate> { ["a"] = new("a", "unit", 1, 1, 1, 0), ["b"] = new("b", "unit", 1, 1, 1, 0) });
        Assert.That(card.Cost([new("a", "unit", Credits.Max - 1), new("b", "unit", 1)]).Value.Amount, Is.EqualTo(Credits.Max));
        Assert.That(card.Cost([new("a", "unit", Credits.Max), new("b", "unit", 1)]).IsOk, Is.False);
    }

    [TestCase(0, "0.000000")]
    [TestCase(1, "0.000001")]
    [TestCase(-1_500_000, "-1.500000")]
    [TestCase(long.MaxValue, "9223372036854.775807")]
    [TestCase(long.MinValue, "-9223372036854.775808")]
    public void Credits_are_written_exactly(long amount, string text) => Assert.That(Statement.InCredits(amount), Is.EqualTo(text));

    // Small numbers, where rounding shows, and those of a card's and a long's limits.
    private static Gen<(RateCard Card, List<Measured> Used)> Cards =>
        from prices in (
            from micro in Gen.OneOf(Number(100), Number(1_000_000_000))
            from per in Gen.OneOf(Number(100), Number(1_000_000_000), Gen.Elements(59L, 999_982L))
            from increment in Gen.OneOf(Gen.Constant(0L), Number(90), Number(1_000_000_000))
            from minimum in Gen.OneOf(Gen.Constant(0L), Number(120), Number(1_000_000_000))
            from quantity in Gen.OneOf(Number(200), Number(1_000_000_000), Number(long.MaxValue))
            select (micro, per: per + 1, increment: increment + 1, minimum, quantity)).ArrayOf(4)
        select (
            new RateCard("c-1", null, 1, DateTimeOffset.UnixEpoch, prices.Select((p, i) => new Rate($"c{i}", "unit", p.micro, p.per, p.increment, p.minimum)).ToDictionary(r => r.Component)),
            prices.Select((p, i) => new Measured($"c{i}", "unit", p.quantity)).ToList());

    // Prices for numbers under each other and beside each other, calls to numbers in and outside of them, both kinds of keys.
    private static Gen<(List<Rate> Prices, List<Measured> Used, int Discount)> Decks =>
        from prices in (
            from micro in Gen.OneOf(Number(100), Number(1_000_000_000))
            from per in Gen.OneOf(Number(100), Number(1_000_000_000))
            from increment in Gen.OneOf(Gen.Constant(0L), Number(90))
            from minimum in Gen.OneOf(Gen.Constant(0L), Number(120))
            select (micro, per: per + 1, increment: increment + 1, minimum)).ArrayOf(12)
        from has in Gen.Elements(true, false).ArrayOf(12)
        from used in (
            from component in Gen.Choose(0, 1)
            from number in Gen.Elements(null, "+4915112345678", "+4930123456", "+442071234567", "+15550100", "anonymous")
            from ownKey in Gen.Elements(true, false)
            from quantity in Gen.OneOf(Number(200), Number(100_000))
            select new Measured($"c{component}", "unit", quantity) { Number = number, OwnKey = ownKey }).ArrayOf(5)
        from discount in Gen.Choose(0, 100)
        select (
            Enumerable.Range(0, 2).SelectMany(c => new[] { "", "+4", "+49", "+4915", "+491511", "+1" }.Select((prefix, i) => (Prefix: prefix, At: (c * 6) + i))
                .Where(x => x.Prefix.Length == 0 || has[x.At])
                .Select(x => new Rate($"c{c}", "unit", prices[x.At].micro, prices[x.At].per, prices[x.At].increment, prices[x.At].minimum) { Prefix = x.Prefix })).ToList(),
            used.ToList(), discount);

    private static Gen<long> Number(long max) =>
        from high in Gen.Choose(0, int.MaxValue)
        from low in Gen.Choose(0, int.MaxValue)
        select (long)((((Int128)high << 31) | (uint)low) * ((Int128)max + 1) >> 62);

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
