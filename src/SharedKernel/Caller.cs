namespace VoicePlatform.SharedKernel;

/// <summary>What a key may do.</summary>
public static class Scopes
{
    public const string Admin = "admin";
    public const string Operate = "operate";
    public const string Read = "read";
    public const string Finance = "finance";

    /// <summary>The operator of the installation (PLATFORM_ADMIN_KEY); never given to a tenant's key.</summary>
    public const string Platform = "platform";

    /// <summary>Not a scope of keys: what either of the two may ask.</summary>
    public const string FinanceOrOperate = "finance or operate";

    /// <inheritdoc cref="FinanceOrOperate"/>
    public const string FinanceOrAdmin = "finance or admin";

    /// <inheritdoc cref="FinanceOrOperate"/>
    public const string FinanceOrRead = "finance or read";

    public static readonly IReadOnlyList<string> OfTenants = [Admin, Operate, Read, Finance];
}

/// <summary>Who asks. One per scope; set by authentication, or by background work that acts for a tenant.</summary>
public sealed class Caller
{
    private string? _tenantId;

    /// <exception cref="InvalidOperationException">Nobody was authenticated: an endpoint without authorization asked for a tenant.</exception>
    public string TenantId => _tenantId ?? throw new InvalidOperationException("No tenant is set in this scope.");

    public bool HasTenant => _tenantId is not null;

    public string? UserId { get; private set; }

    public string? KeyId { get; private set; }

    /// <summary>A key made in test mode: conversations cost nothing and are marked in every event.</summary>
    public bool IsTest { get; private set; }

    /// <summary>What the key may do; empty for work of our own.</summary>
    public IReadOnlyList<string> Scopes { get; private set; } = [];

    /// <summary>A key that reads money and nothing else: where others may ask too, it is told only of that.</summary>
    public bool IsFinanceOnly => Scopes is [SharedKernel.Scopes.Finance];

    /// <summary>The assistant that the key's requests mean when they name none.</summary>
    public string? DefaultAssistantId { get; private set; }

    /// <summary>The operator of the installation asks.</summary>
    public bool IsPlatform { get; private set; }

    /// <summary>The address the request came from; null for work of our own.</summary>
    public string? Address { get; set; }

    public void Become(string tenantId, string? userId, string? keyId, bool isTest) =>
        (_tenantId, UserId, KeyId, IsTest, Scopes, DefaultAssistantId, IsPlatform) = (tenantId, userId, keyId, isTest, [], null, false);

    /// <summary>Nobody: a door that asks for no key takes none into account.</summary>
    public void BecomeNobody() => (_tenantId, UserId, KeyId, IsTest, Scopes, DefaultAssistantId, IsPlatform) = (null, null, null, false, [], null, false);

    /// <summary>A request's key: who asks, and what it may.</summary>
    public void Become(string tenantId, string userId, string keyId, bool isTest, IReadOnlyList<string> scopes, string? defaultAssistantId)
    {
        Become(tenantId, userId, keyId, isTest);
        (Scopes, DefaultAssistantId) = (scopes, defaultAssistantId);
    }

    public void BecomePlatform() => IsPlatform = true;

    internal void CopyTo(Caller other) =>
        (other._tenantId, other.UserId, other.KeyId, other.IsTest, other.Address, other.Scopes, other.DefaultAssistantId, other.IsPlatform) =
            (_tenantId, UserId, KeyId, IsTest, Address, Scopes, DefaultAssistantId, IsPlatform);
}
