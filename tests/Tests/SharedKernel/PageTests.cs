using VoicePlatform.SharedKernel;

namespace VoicePlatform.Tests.SharedKernel;

internal sealed class PageTests
{
    [TestCase(0, false, null)]
    [TestCase(2, false, null)]
    [TestCase(3, false, null)]
    [TestCase(4, true, "3")]
    public void One_row_more_than_asked_for_tells_that_there_are_more(int rows, bool hasMore, string? cursor)
    {
        var page = Page<int>.Of(Enumerable.Range(1, rows).ToList(), 3, n => $"{n}");

        Assert.That(page.Data, Has.Count.EqualTo(Math.Min(rows, 3)));
        Assert.That((page.HasMore, page.NextCursor), Is.EqualTo((hasMore, cursor)));
    }

    [TestCase(null, 20)]
    [TestCase(1, 1)]
    [TestCase(100, 100)]
    public void A_limit_in_range_is_taken(int? limit, int rows)
    {
        var query = new PageQuery(limit, null);

        Assert.That(query.Refusal, Is.Null);
        Assert.That(query.Rows, Is.EqualTo(rows));
    }

    [TestCase(0)]
    [TestCase(-1)]
    [TestCase(101)]
    [TestCase(int.MaxValue)]
    public void A_limit_out_of_range_is_refused_by_name(int limit) =>
        Assert.That(new PageQuery(limit, null).Refusal?.Fields.Single().Field, Is.EqualTo("limit"));

    [Test]
    public void A_cursor_that_is_far_too_long_is_refused_by_name() =>
        Assert.That(new PageQuery(null, new string('x', 65)).Refusal?.Fields.Single().Field, Is.EqualTo("starting_after"));
}
