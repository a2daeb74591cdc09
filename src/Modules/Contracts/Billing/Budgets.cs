namespace VoicePlatform.Contracts.Billing;

/// <summary>Which of these are assistants of the tenant. Billing asks it before it takes budgets for them; Assistant answers.</summary>
public sealed record PickAssistants(string TenantId, IReadOnlyCollection<string> Ids) : IRequest<Result<IReadOnlyList<string>>>;
