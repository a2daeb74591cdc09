namespace VoicePlatform.Contracts.Tenants;

/// <summary>
/// Puts an event into the tenant's log and due to its webhooks, in the transaction of what happened.
/// <paramref name="DataJson"/> is the event's data as JSON; these bytes are what receivers get.
/// </summary>
/// <param name="Type">Dotted and lower case ("session.completed").</param>
/// <param name="SubjectId">What it is about: events of one subject are numbered from 1 and delivered in that order.</param>
/// <param name="AlsoTo">URLs that get it beside the registered webhooks, with the same guarantees.</param>
public sealed record Announce(string TenantId, string Type, string SubjectId, string DataJson, bool IsTest, IReadOnlyList<AlsoTo>? AlsoTo = null) : ICommand<Done>;

/// <summary>One more receiver of one event.</summary>
/// <param name="BodyJson">Sent instead of the event where a receiver expects a shape of its own.</param>
public sealed record AlsoTo(string Url, string? BodyJson = null);

/// <summary>
/// Removes the events of these subjects, with their deliveries, but for those about money; unless some of it is still to be delivered. Answers how many such
/// deliveries there are: then nothing was removed.
/// </summary>
public sealed record RemoveEvents(string TenantId, IReadOnlyList<string> Subjects) : ICommand<long>;

/// <summary>A tenant came to be. Published inside the transaction that makes it, so that its account opens with it.</summary>
public sealed record TenantOpened(string TenantId, DateTimeOffset At) : INotification;
